"""Class paths: how often each class has each gate on, and which classes travel alike."""
