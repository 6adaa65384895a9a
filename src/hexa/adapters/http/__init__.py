"""The HTTP port: probes, metrics, the page and the API, by hypercorn and Starlette. Loaded where `http.address` is set."""
