"""How a trained model makes pictures: predictions, patch synthesis, and the results that uses return."""
