"""What the single-file executable runs."""

from hexa.cli import main

main()
