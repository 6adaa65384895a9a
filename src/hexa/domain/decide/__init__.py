"""The one decision about a machine: `machine.decide`."""
