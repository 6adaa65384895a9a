"""The hexa command: one file a subcommand; reads arguments and prints answers, decides nothing."""


def main() -> None:
    """Run the command line; the console script enters here."""
    raise SystemExit("hexa has no commands yet")
