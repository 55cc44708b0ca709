// Times in the viewer's zone beside UTC, and parts of a page that follow what happens while somebody looks.
(function () {
  "use strict";

  function localTimes(root) {
    root.querySelectorAll("time[datetime]").forEach(function (one) {
      if (one.dataset.utc) { return; }
      one.dataset.utc = one.textContent;
      one.title = one.dataset.utc;
      var at = new Date(one.dateTime);
      if (at.getTimezoneOffset() === 0) { return; }
      var utc = document.createElement("small");
      utc.className = "dialstock-utc";
      utc.textContent = " (" + one.dateTime.slice(11, 19) + " UTC)";
      one.textContent = at.toLocaleString(undefined, { dateStyle: "short", timeStyle: "medium" });
      one.append(utc);
    });
  }

  function follow(part) {
    var every = Number(part.dataset.live) * 1000;

    async function again() {
      var began = Date.now();
      if (!document.hidden && !part.contains(document.activeElement)) {
        try {
          var answer = await fetch(location.href, { headers: { Accept: "text/html" }, credentials: "same-origin" });
          var page = new DOMParser().parseFromString(await answer.text(), "text/html");
          var fresh = page.querySelector("[data-live]");
          if (answer.ok && fresh) {
            localTimes(fresh);
            part.innerHTML = fresh.innerHTML;
          } else if (answer.ok) {
            location.reload();
            return;
          }
        } catch (error) {
          // The server may be restarting: the next turn asks again.
        }
      }
      setTimeout(again, Math.max(every, 4 * (Date.now() - began)));
    }

    setTimeout(again, every);
  }

  function ticksAll(box) {
    box.hidden = false;
    box.addEventListener("change", function () {
      box.form.querySelectorAll("input[name=" + box.dataset.all + "]").forEach(function (one) { one.checked = box.checked; });
    });
  }

  function refusesLong(input) {
    input.addEventListener("change", function () {
      var most = Number(input.dataset.most), file = input.files[0];
      var long = file && file.size > most;
      input.setCustomValidity(long ? "The file is longer than " + most / 1048576 + " MB: split it, or use dialstock order submit." : "");
      input.reportValidity();
    });
  }

  localTimes(document);
  document.querySelectorAll("input[data-most]").forEach(refusesLong);
  document.querySelectorAll("input[data-all]").forEach(ticksAll);
  document.querySelectorAll("[data-live]").forEach(follow);
}());
