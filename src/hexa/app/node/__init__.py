"""One machine at a time: looked at, decided on, acted on."""
