//! Nothing: its dependencies are what it is for.
//!
//! Cargo gives a library the features that the packages of *one command* ask for together. So
//! the program alone, the tests and the documentation would each compile DataFusion anew, several
//! minutes each, for a feature more of `serde_json`. What any of them asks for of the libraries
//! that DataFusion uses is asked for here, and `query`, which brings DataFusion, depends on this.
