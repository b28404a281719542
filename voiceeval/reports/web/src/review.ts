// The page of the review: calls worth hearing, one after the other, and a person's word on each.
import "./review.css";
