"""A site in RAM: machines with their kubelets, what goes wrong there, and people who press buttons."""
