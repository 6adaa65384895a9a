"""A UPS by the server of Network UPS Tools (upsd)."""
