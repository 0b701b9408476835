"""Public sets of answers that people judged, read into one record type: they pre-screen judges, no more (rule 6)."""
