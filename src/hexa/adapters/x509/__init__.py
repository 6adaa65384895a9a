"""Certificates by the library `cryptography`, which is imported here and nowhere else. Only `hexa certs` loads it."""
