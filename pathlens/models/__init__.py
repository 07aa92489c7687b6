"""The models room: CIFAR networks, torchvision names, the user's own, and weight files."""
