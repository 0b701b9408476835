"""The judge: one rubric for all arms, blind to the arm, believed only where it agrees with people (fairness rule 6)."""
