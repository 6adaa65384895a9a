"""Reads the network card of the machine that it runs on."""
