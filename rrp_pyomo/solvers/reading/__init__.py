"""How a Pyomo model, kernel or environ, is read: rows, quadratics, cones, and what is refused."""
