"""Status, conditions and explanations for people, from what the other rooms decide."""
