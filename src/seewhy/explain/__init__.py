"""For people: explainer objects and one-call functions, thin over methods and probe."""
