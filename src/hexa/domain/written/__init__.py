"""Objects as they are written: whether they fit the schema, and whether they can work."""
