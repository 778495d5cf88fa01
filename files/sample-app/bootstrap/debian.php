<?php

// Debian's php-laravel-framework: this one file loads the framework and everything that it depends on.
require_once '/usr/share/php/Illuminate/autoload.php';
