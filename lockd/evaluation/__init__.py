"""How well faces are recognised, measured on folders of photographs."""
