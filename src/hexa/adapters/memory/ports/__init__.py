"""The ports in RAM: what hexa calls, on the cluster and the site."""
