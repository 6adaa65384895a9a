"""The machine that hexa itself runs on: its clock."""
