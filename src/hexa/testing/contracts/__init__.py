"""The checks behind `check_kube` and `check_jobs`, by what they are about. Free of pytest."""
