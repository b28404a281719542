// The page of a cohort: its calls, and what they are like together.
import "./cohort.css";
