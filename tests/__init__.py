"""The tests, as a package of their own: some of what is installed brings one of this name too."""
