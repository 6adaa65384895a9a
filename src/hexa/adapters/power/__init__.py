"""Ways to a machine's power, a file each: implement `ports.power`. Each is imported only where it is used."""
