// The page of a call: both arms on one time axis, playing together.
import "./call.css";
