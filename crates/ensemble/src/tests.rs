mod decoupled;
mod fit;
mod kit;
mod properties;
mod run;
mod shapes;
