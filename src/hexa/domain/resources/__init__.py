"""Types of the objects that hexa reads and writes; our CRDs' schema, validation and status come from them."""
