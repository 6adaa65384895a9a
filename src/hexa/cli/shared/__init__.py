"""What several commands use: cluster, exit codes, names, output, and files that are read."""
