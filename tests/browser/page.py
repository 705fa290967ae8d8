"""Airflow's UI as a person uses it: what is on the screen is found by its words, and waited for."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from selenium.common.exceptions import StaleElementReferenceException, TimeoutException
from selenium.webdriver.chromium.webdriver import ChromiumDriver
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webdriver import WebDriver
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.wait import WebDriverWait

from local.airflow import Airflow


class Page:
    """The browser's one page."""

    def __init__(self, driver: WebDriver, screenshots: Path) -> None:
        self._driver = driver
        self._screenshots = screenshots
        self.clicks = 0
        """How often somebody would have clicked, or pressed Enter."""

    def open(self, url: str) -> None:
        """Go there."""
        self._driver.get(url)

    def click(self, selector: str, *, seconds: float = 30) -> None:
        """Click the first thing that a CSS selector, or an XPath with ``//``, finds and that can be clicked."""

        def clicked(_: WebDriver) -> bool:
            for element in self._all(selector):
                if element.is_displayed() and element.is_enabled():
                    element.click()
                    self.clicks += 1
                    return True
            return False

        self.until(clicked, f"{selector} to click", seconds)

    def link(self, text: str) -> None:
        """Click the last link of that text: tables come after the side panel."""
        self.until(lambda _: self._all(f"//a[normalize-space()='{text}']"), f"a link {text!r}", 30)
        self.until(lambda _: self._click_last(f"//a[normalize-space()='{text}']"), f"a click on {text!r}", 30)

    def type(self, selector: str, text: str, *, enter: bool = False) -> None:
        """Type into a field."""
        self.until(lambda _: self._all(selector), selector, 30)
        field = self._all(selector)[0]
        field.send_keys(text)
        if enter:
            self.until(lambda _: text in self.text(), f"{text} among the choices", 10)
            field.send_keys(Keys.ENTER)

    def sees(self, text: str, *, seconds: float = 30) -> None:
        """Wait until the page shows a text; a failure shows what it has instead."""
        self.until(lambda _: text in self.text(), f"the text {text!r}", seconds)

    def shows(self, selector: str, *, seconds: float = 30) -> list[str]:
        """The texts of what a selector finds, once it finds something."""
        self.until(lambda _: self._all(selector), selector, seconds)
        return [element.text for element in self._all(selector)]

    def is_on(self, selector: str) -> bool:
        """Whether a switch or a checkbox is on."""
        self.until(lambda _: self._all(selector), selector, 30)
        return self._all(selector)[0].is_selected()

    def text(self) -> str:
        """Everything that can be read."""
        try:
            return self._driver.find_element(By.TAG_NAME, "body").text
        except StaleElementReferenceException:
            return ""

    def enter_frame(self, title: str) -> None:
        """From now on, what is in the frame of this title."""
        self.outside()
        selector = f"iframe[title='{title}']"
        self.until(lambda _: self._all(selector), selector, 30)
        self._driver.switch_to.frame(self._all(selector)[0])

    def outside(self) -> None:
        """From now on, the whole page again."""
        self._driver.switch_to.default_content()

    def theme(self, name: str) -> None:
        """Let Airflow be ``light`` or ``dark``, from the next page on."""
        self._driver.execute_script("localStorage.setItem('theme', arguments[0])", name)

    def colour(self, selector: str, which: str) -> str:
        """The computed value of a CSS property of the first thing that a selector finds."""
        return str(self._all(selector)[0].value_of_css_property(which))

    def address(self) -> str:
        """Where the browser is."""
        return str(self._driver.current_url)

    def forget(self) -> None:
        """Sign out: no cookie is left."""
        self._driver.delete_all_cookies()

    def shown_as(self, width: int, scheme: str) -> None:
        """Show what comes on a screen so wide, in the ``light`` or ``dark`` colours that a person's system asks for."""
        assert isinstance(self._driver, ChromiumDriver)
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 700}
        self._driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        wanted = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
        self._driver.execute_cdp_cmd("Emulation.setEmulatedMedia", wanted)

    def width(self) -> int:
        """How wide the page is, whatever of it is on the screen."""
        width = self.run_script("return document.documentElement.scrollWidth")
        assert isinstance(width, int)
        return width

    def run_script(self, script: str) -> object:
        """What a script says, of the frame that the driver is in."""
        return self._driver.execute_script(script)

    def run_async(self, script: str) -> object:
        """What a script gives to the callback that is its last argument."""
        return self._driver.execute_async_script(script)

    def press(self, *keys: str) -> None:
        """Press keys, wherever the focus is."""
        ActionChains(self._driver).send_keys(*keys).perform()

    def clear(self, selector: str) -> None:
        """Empty a field."""
        self._all(selector)[0].clear()

    def screenshot(self, name: str) -> None:
        """Keep what is to be seen."""
        self._driver.save_screenshot(str(self._screenshots / f"{name}.png"))

    def _all(self, selector: str) -> list[WebElement]:
        by = By.XPATH if selector.startswith("//") else By.CSS_SELECTOR
        return self._driver.find_elements(by, selector)

    def _click_last(self, selector: str) -> bool:
        found = self._all(selector)
        if found:
            found[-1].click()
            self.clicks += 1
        return bool(found)

    def until(self, condition: Callable[[WebDriver], object], what: str, seconds: float) -> None:
        """Wait for a condition; a failure shows the page."""
        try:
            WebDriverWait(self._driver, seconds, ignored_exceptions=[StaleElementReferenceException]).until(condition)
        except TimeoutException:
            self.screenshot("failed")
            raise AssertionError(f"Not within {seconds:.0f} s: {what}. The page says:\n{self.text()[:3000]}") from None


def sign_in(page: Page, airflow: Airflow, name: str) -> None:
    """As one of the users that the simple auth manager knows, whoever was signed in before."""
    passwords = json.loads((airflow.directory / "passwords.json").read_text())
    page.outside()
    page.open(airflow.url)
    page.forget()
    page.open(airflow.url)
    page.type("input[name=username]", name)
    page.type("input[name=password]", passwords[name])
    page.click("button[type=submit]")
    page.sees("Dags")
