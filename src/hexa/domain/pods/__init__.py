"""Pods: which are evicted, what keeps them, what they request, and where they fit."""
