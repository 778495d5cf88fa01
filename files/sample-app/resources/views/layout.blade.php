<!doctype html>
<html lang="{{ app()->getLocale() }}" dir="{{ app()->getLocale() === 'ar' ? 'rtl' : 'ltr' }}">
<head>
    <meta charset="utf-8">
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <meta name="release" content="{{ config('app.release') }}">
    <meta name="reverb-key" content="{{ config('broadcasting.connections.reverb.key') }}">
    <title>@yield('title')</title>
    @vite(['resources/css/app.css', 'resources/js/app.js'])
</head>
<body class="mx-auto max-w-2xl p-8 text-gray-800">
    <header class="mb-8 flex items-baseline justify-between">
        <h1 class="text-2xl font-bold">@yield('title')</h1>
        <a href="?language={{ app()->getLocale() === 'ar' ? 'en' : 'ar' }}">{{ __('site.other_language') }}</a>
    </header>
    <main>
        @yield('content')
    </main>
    <footer class="mt-12 text-sm text-gray-500">
        {{ __('site.release') }} <code>{{ config('app.release') }}</code>,
        Laravel {{ app()->version() }}, PHP {{ PHP_VERSION }}
    </footer>
</body>
</html>
