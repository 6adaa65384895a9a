"""The HTTP port of the agent: which adapters stand behind its paths. Loaded where `http.address` is set."""
