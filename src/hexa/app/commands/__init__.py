"""What the commands for people do, over the ports: one file a command. They print nothing and read no arguments."""
