"""The stages by name, for who only counts; `stages` does them, and imports the networks."""

STAGES = (
    "P-Net, all levels",
    "R-Net, 8 patches",
    "O-Net, 1 patch",
    "SFace",
    "FaceNet",
    "liveness",
    "search, nobody there",
    "search, one face",
    "light, stranger",
    "accurate, stranger",
    "accurate, colleague",
    "accurate, stranger followed",
    "decided, followed",
)
