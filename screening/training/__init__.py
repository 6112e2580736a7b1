"""Training of the injection classifier; needs scikit-learn, never imported at run time."""
