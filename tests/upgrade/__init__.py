"""Objects that released versions stored, and what the present code makes of them."""
