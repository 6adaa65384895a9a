"""Types of the objects that hexa reads and writes; schema, validation and status of our CRDs come from them."""
