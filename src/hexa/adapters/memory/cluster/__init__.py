"""A cluster in RAM: the API server, the scheduler and the controllers, as far as hexa can tell them from real ones."""
