<?php

declare(strict_types=1);

namespace App\Http\Middleware;

use Illuminate\Cookie\CookieValuePrefix;
use Illuminate\Cookie\Middleware\EncryptCookies as Middleware;

/**
 * A cookie carries a mark of the key that wrote it: one of an older key is as good, or a change of APP_KEY would end
 * every session. The framework's own middleware does the same from Laravel 11 on.
 */
class EncryptCookies extends Middleware
{
    protected function validateValue(string $key, $value)
    {
        foreach (is_array($value) ? [] : $this->encrypter->getAllKeys() as $encryptionKey) {
            $known = CookieValuePrefix::validate($key, $value, $encryptionKey);
            if ($known !== null) {
                return $known;
            }
        }

        return parent::validateValue($key, $value);
    }
}
