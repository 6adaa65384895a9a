"""What `hexa doctor` concludes from what it saw: pure, a file for each subject."""
