"""What the servers have in common: files of certificates that change, and log lines about clients. It knows no protocol."""
