"""The demonstration: two small models on cluttered digits, the recipe that made them, and how their maps score."""
