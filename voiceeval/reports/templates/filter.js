"use strict";
(function () {
  var form = document.getElementById("filters");
  var body = document.getElementById("call-rows");
  if (!form || !body) { return; }
  var rows = Array.prototype.slice.call(body.rows);
  var text = document.getElementById("filter-text");
  var selects = Array.prototype.slice.call(form.querySelectorAll("select"));
  var shown = document.getElementById("shown-count");
  function apply() {
    var wanted = text.value.trim().toLowerCase();
    var count = 0;
    rows.forEach(function (row) {
      var keep = !wanted || row.textContent.toLowerCase().indexOf(wanted) >= 0;
      selects.forEach(function (select) {
        if (select.value !== "" && row.getAttribute("data-" + select.name) !== select.value) { keep = false; }
      });
      row.hidden = !keep;
      if (keep) { count += 1; }
    });
    shown.textContent = String(count);
  }
  form.hidden = false;
  form.addEventListener("input", apply);
  form.addEventListener("submit", function (event) { event.preventDefault(); });
  form.addEventListener("reset", function () { window.setTimeout(apply, 0); });
  Array.prototype.forEach.call(document.querySelectorAll("a[data-filters]"), function (link) {
    link.addEventListener("click", function () {
      form.reset();
      selects.forEach(function (select) {
        var value = link.getAttribute("data-" + select.name);
        if (value !== null) { select.value = value; }
      });
      window.setTimeout(apply, 0);
    });
  });
  apply();
}());
