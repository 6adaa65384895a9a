"""`python -m hexa` is `hexa`."""

from hexa.cli import main

main()
