// The page of a call: both arms on one time axis, playing together.
import "./call.css";
import "./player/player.css";
import { start } from "./player/player";

start();
