"""Every port in RAM, honest enough to simulate a site of machines in virtual time. It knows nothing of the app."""
