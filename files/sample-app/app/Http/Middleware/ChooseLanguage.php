<?php

declare(strict_types=1);

namespace App\Http\Middleware;

use Closure;
use Illuminate\Http\Request;
use Symfony\Component\HttpFoundation\Response;

/**
 * ?language=en or ?language=ar, remembered for the session.
 */
class ChooseLanguage
{
    public const LANGUAGES = ['ar', 'en'];

    public function handle(Request $request, Closure $next): Response
    {
        $wanted = $request->query('language');

        if (in_array($wanted, self::LANGUAGES, true)) {
            $request->session()->put('language', $wanted);
        }

        app()->setLocale($request->session()->get('language', config('app.locale')));

        return $next($request);
    }
}
