"""What is measured on a dataset, as its labels allow."""
