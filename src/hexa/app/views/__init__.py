"""Views of machines and groups: put together from the snapshot, and kept while nothing changes."""
